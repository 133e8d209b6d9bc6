"""Where each pixel of a picture has gone in the next one."""
