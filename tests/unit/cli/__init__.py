"""What commands print, without a process."""
