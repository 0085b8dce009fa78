"""Which concepts a corpus of captions can ever tell apart, whatever model is trained on it."""
