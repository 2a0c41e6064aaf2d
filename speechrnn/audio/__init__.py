"""Audio files, features, augmentation, voice activity detection and segmentation."""
