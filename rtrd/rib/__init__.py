"""Routes in: the Adj-RIB-In, and the validity of each."""
