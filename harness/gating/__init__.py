"""The regression gate around its rule, `gate.py`: what it reads, where baselines lie, how a verdict is told."""
