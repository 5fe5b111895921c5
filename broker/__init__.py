"""The broker and the connection to it: client, accounts, TLS, configuration files, the embedded broker."""
