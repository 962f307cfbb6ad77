"""The forms of the convolution, timed beside each other over many shapes."""
