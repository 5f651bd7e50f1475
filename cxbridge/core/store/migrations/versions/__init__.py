"""One module per revision, `NNNN_what.py`; never changed after a release."""
