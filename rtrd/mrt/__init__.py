"""Table dumps (MRT, RFC 6396, 8050): routes out of files, judged without a daemon."""
