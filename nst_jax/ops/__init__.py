"""Operations on arrays, the floor of the package: convolution, resizing, colour, statistics."""
