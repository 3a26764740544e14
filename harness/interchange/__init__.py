"""Records in other tools' formats: lm-eval's files both ways, and rows to train on (docs/interchange.md)."""
