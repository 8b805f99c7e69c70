RIGHT = "right"


def diagnose(attention):
    return RIGHT
