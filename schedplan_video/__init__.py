"""Video classification for schedplan: data, networks and a trainer for 3D ConvNets."""
