"""What the daemon shows and takes over HTTP; it hands work on and does none itself."""
