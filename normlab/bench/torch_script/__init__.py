"""The experiment as a PyTorch script, with one learning rate after another."""
