"""What single libraries call the parameters: a file each."""
