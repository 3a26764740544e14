"""What runs inside a container: standard library only, Python 3.9 and later. Also the format both sides speak."""
