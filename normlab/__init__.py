"""What do normalization layers do to the optimization of a network?"""

__version__ = "0.1.0"
