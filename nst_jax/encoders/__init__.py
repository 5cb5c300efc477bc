"""Fixed loss networks: VGG in linen, its preprocessing, and where pretrained weights come from."""
