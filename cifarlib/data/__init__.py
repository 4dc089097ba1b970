"""The pictures: facts of CIFAR-100, the places it comes from, augmentation, loaders."""
