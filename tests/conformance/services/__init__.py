"""The catalogue's services (§26), as handlers over stubs that are generated when the tests start."""
