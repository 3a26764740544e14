"""Benchmarks where the answer is a program: how they are asked, and what makes an answer right."""
