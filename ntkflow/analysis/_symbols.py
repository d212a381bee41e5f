"""The letters of the modal analysis; `eta` and the rules' own parameters come from `ntkflow.notation`."""

import sympy

lam, lam_min = sympy.symbols("lambda lambda_min", real=True)  # eigenvalues of W
kappa, kappa_min, kappa_max = sympy.symbols("kappa kappa_min kappa_max", positive=True)  # of the scaled Psi
z = sympy.Symbol("z")  # an eigenvalue of M
