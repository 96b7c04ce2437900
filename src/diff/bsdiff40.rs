//! Classic BSDIFF40 files.
