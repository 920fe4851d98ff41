"""Acts of an operator: pause, resume, cancel, retry, resolve, suppress, verify, watch."""
