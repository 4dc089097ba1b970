"""Tools that know nothing of CIFAR-100: files, errors, the network, progress bars."""
