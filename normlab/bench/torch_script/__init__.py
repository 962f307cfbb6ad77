"""The experiment as a PyTorch script: one file, one learning rate after another."""
