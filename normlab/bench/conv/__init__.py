"""Times the forms of the convolution against each other for many shapes."""
