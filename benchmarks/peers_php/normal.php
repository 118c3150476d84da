<?php
// The normal distribution function, as exact as doubles allow. PHP has no erf.
// W. J. Cody: Rational Chebyshev approximations for the error function (1969), as in netlib's specfun.

declare(strict_types=1);

function norm_cdf(float $x): float
{
    return 0.5 * erfc(-$x * M_SQRT1_2);
}

function erfc(float $x): float
{
    $y = abs($x);
    if ($y <= 0.46875) {
        return 1.0 - erf_small($x);
    }
    $tail = $y <= 4.0 ? erfc_middle($y) : erfc_far($y);
    return $x < 0.0 ? 2.0 - $tail : $tail;
}

function erf_small(float $x): float
{
    $z = $x * $x;
    $over = (((1.85777706184603153e-1 * $z + 3.16112374387056560e0) * $z + 1.13864154151050156e2) * $z
        + 3.77485237685302021e2) * $z + 3.20937758913846947e3;
    $under = ((($z + 2.36012909523441209e1) * $z + 2.44024637934444173e2) * $z + 1.28261652607737228e3) * $z
        + 2.84423683343917062e3;
    return $x * $over / $under;
}

function erfc_middle(float $y): float
{
    $over = (((((((2.15311535474403846e-8 * $y + 5.64188496988670089e-1) * $y + 8.88314979438837594e0) * $y
        + 6.61191906371416295e1) * $y + 2.98635138197400131e2) * $y + 8.81952221241769090e2) * $y
        + 1.71204761263407058e3) * $y + 2.05107837782607147e3) * $y + 1.23033935479799725e3;
    $under = ((((((($y + 1.57449261107098347e1) * $y + 1.17693950891312499e2) * $y + 5.37181101862009858e2) * $y
        + 1.62138957456669019e3) * $y + 3.29079923573345963e3) * $y + 4.36261909014324716e3) * $y
        + 3.43936767414372164e3) * $y + 1.23033935480374942e3;
    return exp_of_minus_square($y) * $over / $under;
}

function erfc_far(float $y): float
{
    $z = 1.0 / ($y * $y);
    $over = ((((1.63153871373020978e-2 * $z + 3.05326634961232344e-1) * $z + 3.60344899949804439e-1) * $z
        + 1.25781726111229246e-1) * $z + 1.60837851487422766e-2) * $z + 6.58749161529837803e-4;
    $under = (((($z + 2.56852019228982242e0) * $z + 1.87295284992346725e0) * $z + 5.27905102951428412e-1) * $z
        + 6.05183413124413191e-2) * $z + 2.33520497626869185e-3;
    return exp_of_minus_square($y) * (0.56418958354775628695 - $z * $over / $under) / $y;
}

// exp(-y*y) loses digits where y*y is rounded, so it is taken in two parts.
function exp_of_minus_square(float $y): float
{
    $rough = floor($y * 16.0) / 16.0;
    return exp(-$rough * $rough) * exp(-($y - $rough) * ($y + $rough));
}
