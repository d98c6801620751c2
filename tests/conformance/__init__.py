"""The conformance suite: the catalogue's services and cases, in each setting, through public interfaces only."""
