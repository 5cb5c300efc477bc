"""What grows how with pixels, devices and tiles: memory, traffic, and how equal the results are."""
