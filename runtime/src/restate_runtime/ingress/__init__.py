"""How callers reach handlers: gRPC and HTTP in front of one admission."""
