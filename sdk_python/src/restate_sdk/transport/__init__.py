"""What carries a session: a gRPC server, a gRPC client that dials the runtime, and a pair in memory."""
