"""A fleet on a cluster whose nodes are killed: what is wrong, what is lost, how long is nothing measured?"""
