"""What is measured of a trained model, and how it is told: blocks, retrieval, fine-tuning."""
