"""How cost grows."""


def growth(scale, machine):
    return []
