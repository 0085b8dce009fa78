"""The parts of the GPU benchmark; each file here is one."""
