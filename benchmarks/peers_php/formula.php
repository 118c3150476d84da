<?php
// A formula at work: parsed from its row, given arguments that are checked first, computed. Knows no database and no HTTP.

declare(strict_types=1);

require_once __DIR__ . '/normal.php';
require_once __DIR__ . '/parser.php';

// A row of the table as lists that need no more parsing; the last of the parts is the value.
function parsed(array $row): array
{
    $parts = [];
    foreach (json_decode($row['parts'], true) as [$name, $text]) {
        $parts[$name] = Parser::steps($text);
    }
    $parts['value'] = Parser::steps($row['expression']);
    return ['title' => $row['title'], 'parts' => $parts, 'parameters' => json_decode($row['parameters'], true)];
}

function computed(array $formula, array $arguments): float
{
    $values = checked($formula['parameters'], $arguments);
    foreach ($formula['parts'] as $name => $steps) {
        $values[$name] = evaluated($steps, $values);
    }
    return $values['value'];
}

// Every parameter's number: given or by default, within its range.
function checked(array $parameters, array $arguments): array
{
    foreach ($arguments as $name => $_) {
        isset($parameters[$name]) || throw new InvalidArgumentException("there is no parameter `$name`");
    }
    $values = [];
    foreach ($parameters as $name => $parameter) {
        $value = $arguments[$name] ?? $parameter['default'] ?? throw new InvalidArgumentException("`$name` is missing");
        if (isset($parameter['choices'])) {
            $value = $parameter['choices'][$value] ?? throw new InvalidArgumentException("`$name` has no such choice");
        }
        if (!is_int($value) && !is_float($value)) {
            throw new InvalidArgumentException("`$name` must be a number");
        }
        if ($value < ($parameter['min'] ?? -INF) || $value > ($parameter['max'] ?? INF)
            || $value <= ($parameter['above'] ?? -INF)) {
            throw new InvalidArgumentException("`$name` is out of its range, in {$parameter['unit']}");
        }
        $values[$name] = (float) $value;
    }
    return $values;
}

function evaluated(array $steps, array $values): float
{
    $stack = [];
    $top = -1;
    foreach ($steps as $step) {
        if (is_float($step)) {
            $stack[++$top] = $step;
            continue;
        }
        switch ($step) {
            case '+': --$top; $stack[$top] += $stack[$top + 1]; break;
            case '-': --$top; $stack[$top] -= $stack[$top + 1]; break;
            case '*': --$top; $stack[$top] *= $stack[$top + 1]; break;
            case '/': --$top; $stack[$top] /= $stack[$top + 1]; break;
            case '**': --$top; $stack[$top] **= $stack[$top + 1]; break;
            case 'minus()': $stack[$top] = -$stack[$top]; break;
            case 'exp()': $stack[$top] = exp($stack[$top]); break;
            case 'log()': $stack[$top] = log($stack[$top]); break;
            case 'sqrt()': $stack[$top] = sqrt($stack[$top]); break;
            case 'norm_cdf()': $stack[$top] = norm_cdf($stack[$top]); break;
            case 'maximum()': --$top; $stack[$top] = max($stack[$top], $stack[$top + 1]); break;
            default: $stack[++$top] = $values[$step] ?? throw new InvalidArgumentException("`$step` is not known");
        }
    }
    return $stack[0];
}
