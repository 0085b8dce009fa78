"""Studies, one file each. They list themselves: a new file here is a new study."""
