"""What a curve of log10 |dL/dh_t| says, and intervals over seeds. Arrays in, figures out; NumPy, and SciPy's quantiles.

curve        rate, horizon and effective lag of one curve
verdict      vanishing, exploding or stable
matrix_products  singular values and Lyapunov exponents of long products of matrices
theory       closed forms that a measurement can be held to
intervals    intervals of means and rates over seeds, and paired differences
"""
