"""What a curve of log10 |dL/dh_t| says, and intervals over seeds. Arrays in, figures out; NumPy, and SciPy's quantiles.

gradient_noise   how far samples' gradients are from their mean
matrix_products  singular values and Lyapunov exponents of long products of matrices
theory           closed forms that a measurement can be held to
rate_interval    how sure a rate is, from a curve's increments
curve            rate, horizon and effective lag of one curve
curve_shape      whether a curve is an exponential at all
verdict_text     a verdict in sentences
verdict          vanishing, exploding, stable, and the other words
intervals        intervals of means and rates over seeds, and paired differences
"""
