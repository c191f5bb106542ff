"""The demo world: ray-cast scenes of household things with exact truth. Needs Open3D."""
