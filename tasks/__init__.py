"""What is asked and what counts as right: specs, data, prompts, scorers, aggregates. Pure: no engine, no daemon."""
