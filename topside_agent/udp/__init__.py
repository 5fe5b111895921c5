"""Topside's end of the direct path: clock exchanges as UDP datagrams, straight to the vehicles."""
