"""The networks: recurrent stacks, the acoustic model, and how models are stored."""
