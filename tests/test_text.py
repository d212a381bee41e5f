"""Rules from text: what they mean, the way back, and two hundred texts that must be refused in one line and in time."""

import ast
import json
import subprocess
import sys

import pytest
import sympy
from clock import within
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import ntkflow as nf
from ntkflow import algorithms
from ntkflow.algorithms._text import parse, to_text
from ntkflow.errors import InputError, RuleError
from ntkflow.notation import W, average, beta, eta, gradient, mu, theta, theta0, v

p = sympy.Symbol("p", commutative=False)

# --- what a text means

PAPERS = {  # every recursion in the words of the README: a line a block, lets and starts where they are needed
    "gd": "theta' = average*(theta - eta*grad(theta))",
    "dgd": "theta' = W*theta - eta*grad(theta)",
    "atc": "theta' = W*(theta - eta*grad(theta))",
    "cta": "theta' = W*theta - eta*grad(W*theta)",
    "cdsgd": "theta' = W*theta - step_size*gradient(theta)",
    "icdsgd": "theta' = W**2*theta - eta*grad(theta)",
    "cdmsgd": "θ′ = W*θ + μ*v - η*grad(θ); v′ = μ*v - η*grad(θ); parameter mu = 0.9",
    "cdmsgd_nesterov": """
        let step = mu*v - eta*grad(theta + mu*v)
        theta' = W*theta + step
        v' = step
        parameter mu = 0.9""",
    "cdmsgd_published": """
        v' = mu*v - eta*grad(theta)
        theta' = W*theta + mu**2*v - (1 + mu)*eta*grad(theta)
        parameter mu = .9""",
    "fedavg": """
        theta' = average*b
        let a = theta - eta*grad(theta)
        let b = a - eta*grad(a)   # E = 2 local steps""",
    "extra": """
        theta' = (1 + W)*theta - eta*grad(theta) - z
        z' = (1 + W)/2*theta - eta*grad(theta)
        start z = theta0""",
    "exact_diffusion": """
        let phi = theta - eta*grad(theta)
        theta' = 0.5*(1 + W)*(phi + theta - psi)
        psi' = phi
        start psi = theta0""",
    "d2": "let q = θ - η*grad(θ); θ' = W*(q + θ - ψ); ψ' = q; start ψ = θ0",
    "nids": """
        let y = theta - eta*grad(theta) - d
        theta' = y
        d' = (1 - W)/2*(y - eta*grad(y)) + (1 + W)/2*d""",
    "diging": """
        let new = W*theta - eta*y
        theta' = new
        y' = W*y + grad(new) - grad(theta)
        start y = grad(theta0)""",
    "aug_dgm": """
        let new = W*(theta - eta*y)
        theta' = new
        y' = W*(y + grad(new) - grad(theta))
        start y = grad(theta0)""",
    "atc_tracking": """
        let new = W*(theta - eta*y)
        theta' = new
        y' = W*y + grad(new) - grad(theta)
        start y = grad(theta0)""",
}


def same(one, other):
    return (one.words, one.start_words, one.parameters) == (other.words, other.start_words, other.parameters)


@pytest.mark.parametrize("name", algorithms.names())
def test_the_text_of_a_published_rule_is_the_catalogues_rule(name):
    assert same(parse(PAPERS[name]), algorithms.get(name))


@pytest.mark.parametrize("name", algorithms.names())
def test_a_rule_comes_back_from_its_text(name):
    rule = algorithms.get(name)
    assert same(parse(to_text(rule), name), rule)


def test_a_rule_of_another_shape_comes_back_too():
    for rule in (algorithms.get("fedavg").shaped({"E": 7}), algorithms.get("icdsgd").shaped({"tau": 5})):
        assert same(parse(to_text(rule)), rule)


def test_a_rule_gives_its_own_text():
    rule = nf.Rule("own", {theta: 0.1 * W * theta - eta * gradient(theta) / (1 + mu) ** 2}, parameters={mu: 0.5})
    assert rule.to_text() == "theta' = 1/10*W*theta - eta/(mu + 1)**2*grad(theta)\nparameter mu = 0.5"
    assert same(nf.Rule.parse(rule.to_text()), rule)
    inverse = nf.Rule("own", {theta: (eta + mu) ** -2 * W * theta}, parameters={mu: 0.5})
    assert inverse.to_text().startswith("theta' = 1/(eta + mu)**2*W*theta\n")
    assert same(nf.Rule.parse(inverse.to_text()), inverse)


def test_text_that_cannot_be_written_is_refused():
    root = nf.Rule("root", update={theta: sympy.sqrt(mu) * theta}, parameters={mu: None})
    with pytest.raises(RuleError, match="sqrt"):
        to_text(root)


def test_numbers_are_what_they_look_like():
    words = parse("theta' = 0.1*theta + 1/3*W*theta + 2e-3*grad(theta) - +-.5*W**0*v; v' = 0").words[theta]
    assert words[theta] == {(): sympy.Rational(1, 10), ("W",): sympy.Rational(1, 3), ("H",): sympy.Rational(1, 500)}
    assert words[v] == {(): sympy.Rational(1, 2)}


def test_parameters_are_declared_given_or_the_notations():
    text = "theta' = a*mu*b*theta + c*W*theta; parameter a = -1/3; parameter b; parameter c = 1"
    rule = parse(text, "mine", {"c": 2})
    real = {name: sympy.Symbol(name, real=True) for name in "abc"}
    assert rule.name == "mine"
    assert rule.parameters == {mu: None, real["a"]: -1 / 3, real["b"]: None, real["c"]: 2.0}
    assert parse("theta' = k*theta", parameters={"k": None}).parameter_names.keys() == {"k"}


def test_separators_comments_and_greek_change_nothing():
    plain = parse("theta' = W*theta + beta*v\nv' = gamma*psi\npsi' = v\nstart psi = theta0")
    dressed = "# a rule\r\n\n  θ′=W*\tθ+β*v;; v' = γ*ψ # v\n ψ' = v\n\tstart\tψ = θ0 ;\n;"
    assert same(parse(dressed), plain)


def test_a_name_of_the_notation_may_be_a_block_or_a_let():
    rule = parse("let mu = theta - eta*grad(theta); theta' = W*mu + beta; beta' = beta; start beta = theta0")
    assert rule.parameters == {}
    assert [str(b) for b in rule.blocks] == ["theta", "beta"]


def test_large_but_honest_rules_are_read():
    assert len(parse("theta' = ((1 + W)/2)**100*theta").words[theta][theta]) == 101
    steps = "\n".join(f"let x{i} = x{i - 1} - 0.05*grad(x{i - 1})" for i in range(1, 31))
    local = parse(f"theta' = average*x30\nlet x0 = theta\n{steps}")  # two monomials a step if they did not collect
    assert local.words[theta][theta]["average", *["H"] * 30] == sympy.Rational(1, 20) ** 30


FRACTIONS = {  # sums of denominators that no two terms share: cheap ones are read, in well under a second
    "(1/(mu+1) + 1/(mu+2) + 1/(mu+3))**3": 1 / (mu + 1) + 1 / (mu + 2) + 1 / (mu + 3),
    "((1-mu)/(1+mu) + beta/(1-beta) + 0)**3": (1 - mu) / (1 + mu) + beta / (1 - beta),
}


@pytest.mark.parametrize("text", FRACTIONS)
def test_honest_fractions_are_read_in_time(text):
    with within(1.0):
        [coefficient] = parse(f"theta' = {text}*theta; parameter mu = 0.5").words[theta][theta].values()
    assert sympy.simplify(coefficient - FRACTIONS[text] ** 3) == 0


# --- what is refused

OK = "theta' = W*theta - eta*grad(theta)"
RIGHT = {  # what may not stand to the right
    "attributes": ["theta.T", "theta.__class__", "().__class__.__bases__", "W.subs", "grad.args", "(theta).x", "1.real",
                   "theta.free_symbols", "theta . _assumptions"],
    "calls": ["open(theta)", "exec(theta)", "eval(theta)", "print(theta)", "__import__(theta)", "W(theta)", "grad()",
              "grad(theta, v)", "grad(x=theta)", "grad(*theta)", "grad(**theta)", "grad(theta)(theta)", "theta(0)",
              "(grad)(theta)", "average(theta)", "sin(theta)", "exp(theta)", "sqrt(W)*theta", "Grad(theta)", "2(theta)",
              "sympify(theta)", "getattr(theta, W)", "globals()", "breakpoint()", "grad(grad)", "type(theta)"],
    "Python": ["theta[0]", "[theta]", "{theta}", "{}", "(theta, v)", "theta,", "lambda: theta", "lambda x: x", "*theta",
               "theta if W else theta", "[x for x in theta]", "(x for x in theta)", "theta < theta", "theta == theta",
               "theta and theta", "not theta", "theta or 1", "theta is theta", "theta in theta", "(x := theta)",
               "await theta", "yield theta", "None", "True", "False", "...", "theta @ theta", "theta % 2", "theta // 2",
               "theta << 2", "theta | theta", "theta & theta", "~theta", "theta ^ 2", "W^2*theta", "!theta", "$theta",
               "theta?", "`theta`", "theta\\", "import os", "del theta", "theta: W", "assert theta", "class"],
    "texts": ["'theta'", '"theta"', "f'{theta}'", "b'theta'", "\"\"\"theta\"\"\"", "r'a'", "'a'*9999999", "theta'",
              "W*theta'", "f'{().__class__}'"],
    "dunders": ["__class__", "__builtins__", "__import__", "__name__*theta", "a__b", "theta__", "_theta", "_"],
    "numbers": ["1j*theta", "0x10*theta", "1_000*theta", "1e999*theta", "1e-999*theta", "1e100*theta", "01*theta",
                "9"*41 + "*theta", "9"*5000 + "*theta", "0." + "3"*60 + "*theta", "1e99**4*theta", "2e*theta",
                "(1e99*1e99*1e99*1e99)*theta", "(9**100)**100*theta", "((9**100)**100)**100*theta", "1.2.3*theta",
                "inf*theta", "nan*theta", "1e99999999999999999999*theta", "0b1*theta", "²*theta", "٣*theta"],
    "powers": ["W**10**10*theta", "W**101*theta", "W**-1*theta", "W**0.5*theta", "W**eta*theta", "W**W*theta",
               "W**(1+1)*theta", "2**-1*theta", "eta**mu*theta", "W**999999999999*theta", "theta**2", "theta**0",
               "theta**1", "grad(theta)**2", "(theta - theta)**2", "W**1e2*theta", "W***theta", "W** *theta",
               "((W**100)**100)**100*theta", "(((((W**9)**9)**9)**9)**9)**9*theta", "9**9**9**9*theta", "W**2.*theta",
               "W**theta"],
    "bombs": ["(W+1)**100*(W+2)**100*(mu+1)**100*theta", "(W+average)**100*theta", "(mu+beta+gamma+eta)**100*theta",
              "theta/(mu+beta+gamma+eta)**100", "(W+average)**20*(W+mu)**20*theta", "(((mu+W)**9)**9)**9*theta",
              "(1/(1+mu+beta)+W)**60*theta", "*".join(["(W+average+mu)"]*30) + "*theta",
              "(" * 50 + "W+average" + ")**2+average" * 49 + ")*theta", "*".join(["W"]*199) + "*(W+1)**9*theta",
              "grad("*49 + "theta" + ")"*49 + "*" + "(W+average)**14", "(W+average)**13*grad(theta)"],
    "fractions": ["*".join(f"(1/(mu+{i})+1)" for i in range(1, 12)) + "*theta",
                  "(" + "+".join(f"1/(mu+{i})" for i in range(1, 21)) + ")**3*theta",
                  "(" + "+".join(f"1/(mu+beta+{i})" for i in range(1, 12)) + ")**4*W*theta",
                  "(1/(mu+1)+1/(mu+2)+1/(mu+3)+1/(mu+4))**20*theta", "(1/(mu+1)+1/(beta+2))**50*theta",
                  "theta/(1/(mu+1)+1/(mu+2)+1/(beta+3))**40", "(W+1/(mu+1))**60*theta",
                  "*".join("(" + "+".join(f"1/({s}+{i})" for i in range(9)) + ")" for s in ("mu", "beta", "gamma"))
                  + "**5*theta"],
    "depth": ["("*51 + "theta" + ")"*51, "("*4000 + "theta" + ")"*4000, "("*5000, ")"*5000, "-"*401 + "theta",
              "-"*9000 + "theta", "+".join(["theta"]*250), "+".join(["v"]*4000), "grad("*51 + "theta" + ")"*51,
              "-(" * 60 + "theta" + ")" * 60, "*".join(["2"]*3000), "**".join(["2"]*2000), "1/"*2000 + "1"],
    "not linear": ["theta*theta", "theta*v", "grad(theta)*theta", "theta*grad(theta)", "W*theta*theta", "theta*W",
                   "grad(theta*W)", "1/theta", "theta/theta", "theta/W", "W/W*theta", "theta/grad(theta)",
                   "grad(theta*theta)", "(theta + v)*(theta - v)", "theta + 1", "1 - theta", "theta + W", "W", "5",
                   "eta", "W*W", "mu + 1", "grad(1)", "grad(W)", "grad(eta)", "eta*W", "theta + (mu + (W + 1))",
                   "theta/0", "theta/(mu - mu)", "theta/((1+mu)*(1-mu) - 1 + mu**2)", "theta/0.0"],
    "names": ["tehta", "Theta", "thet", "w*theta", "Eta*theta", "lam*theta", "theta0", "grad(theta0)", "H*theta", "g0",
              "grad", "gradient*theta", "I*theta", "let", "start", "parameter", "x", "u"*41, "u"*9000, "pi*theta", "e",
              "momentum*theta", "z + theta"],
    "spelling": ["", "   ", "-", "+", "theta -", "theta*", "*theta*", "theta v", "2theta", "2 theta", "theta 2",
                 "(theta", "theta)", "()", ")theta(", "theta (2)", "theta = theta", "== theta", "= theta", "a = b = c",
                 "theta; v", "theta ** ", "/ theta", "* * theta", "theta + + ", "1 2", "3(W)*theta", "(W)(theta)",
                 "+-+-", "theta +* theta", "theta\\\ntheta"],
    "letters": ["thеta", "ｔheta", "𝜃", "ϑ", "𝐖*theta", "W\u200b*theta", "theta\u00a0+ theta", "W×theta", "W·theta",
                "θ̂", "∇theta", "ⅼambda", "W\u0000*theta", "\x00", "theta\rv", "W\x1b[31m*theta", "\ud800", "\u2028",
                "😀", "theta\u202e", "µ2__*theta", "η₀*theta", "W⁻*theta", "\ufefftheta", "W\x0btheta", "ﬁ"],
}  # fmt: skip
WHOLE = {  # what may not be said at all
    "no rule": ["", "\n", "# nothing", ";;;", "hello", "W", "theta", "theta'", "let p = theta", "v' = v", "Theta' = v",
                "import os", "import os; os.system('true')", "def f(): return theta", "while True: theta' = theta",
                "\x00", "\r", "=", "= theta", "' = theta", "theta'' = theta", "{\"theta\": \"W*theta\"}",
                "<b>theta</b>", "theta' := theta", "theta'\n= theta", "theta += theta", "theta\" = theta"],
    "names twice": [f"{OK}; {OK}", f"{OK}; let p = theta; let p = theta", f"{OK}; let theta = theta",
                    f"{OK}; v'=v; v'=v", f"{OK}; v' = v; let v = theta", f"{OK}; parameter a; parameter a = 1",
                    f"{OK}; v'=v; parameter v",
                    f"{OK}; v'=v; start v=theta0; start v=0", f"{OK}; θ' = theta"],
    "names that are taken": [f"{OK}; {name}' = theta" for name in (
        "W", "H", "g0", "theta0", "eta", "average", "grad", "gradient", "let", "start", "parameter", "step_size", "I",
        "lambda", "None", "if", "a__b", "_a", "a"*41, "2", "v.x", "v[0]", "f(x)", "v w", "ａ", "vе", "-v", "")],
    "lets": [f"{OK}; let p = q; let q = theta", f"{OK}; let p = p", "theta' = p; let p = 2", "theta' = p; let p = W",
             f"{OK}; let p = theta0", f"{OK}; let p", f"{OK}; let = theta", f"{OK}; let p' = theta",
             f"{OK}; let p theta", f"{OK}; let let p = theta", f"{OK}; LET p = theta", f"{OK}; let p = eval(theta)"],
    "starts": [f"{OK}; start theta = theta0", f"{OK}; start v = theta0", f"{OK}; v'=v; start v = theta",
               f"{OK}; v'=v; start v = v", f"{OK}; v'=v; start v = 1", f"{OK}; v'=v; start v",
               f"{OK}; v'=v; start v = W", f"{OK}; v'=v; start v' = theta0",
               f"{OK}; let p = theta; v' = v; start v = p",
               f"{OK}; v'=v; start v = theta0*theta0", f"{OK}; v'=v; start v = grad(theta0)**2"],
    "parameters": [f"{OK}; parameter a = {value}" for value in (
        "", "b", "theta", "eta", "W", "1/0", "1e999", "'1'", "inf", "nan", "1j", "grad(1)", "0.9 0.8", "open(1)",
        "2**999", "None", "1e99**4", "[1]")] + [f"{OK}; parameter a b", f"{OK}; parameter a'",
        f"{OK}; parameter eta = 1",
        f"{OK}; parameter lambda = 1", f"{OK}; parameter", f"{OK}; parameter theta = 1"],
    "length": [OK + "\n" + "#" * 10_000, "theta' = theta\n" + "\n".join(f"v{i}' = theta" for i in range(50)),
             ";".join([OK]*300), "theta' = " + "theta + "*1200 + "theta", "'"*9999, "="*9999, "theta' "*1500,
             " "*9990 + "=",
             "\t"*9999 + "!"],
    "bombs of lets": [
        "theta' = x14; let x0 = theta" + "".join(f"; let x{i} = W*x{i-1} - eta*grad(x{i-1})" for i in range(1, 15)),
        "theta' = x20; let x0 = theta" + "".join(f"; let x{i} = (W + average)*x{i-1}" for i in range(1, 21)),
        "theta' = x9; let x0 = theta" + "".join(f"; let x{i} = (W + 1)**50*x{i-1}" for i in range(1, 10)),
        "theta' = x9; let x0 = theta" + "".join(f"; let x{i} = 1e99*x{i-1}" for i in range(1, 10)),
        "theta' = x40; let x0 = theta" + "".join(f"; let x{i} = (mu+beta)**20*x{i-1}" for i in range(1, 41)),
        "\n".join(f"let x{i} = " + "+".join(["(W+1)**100*theta"] * 30) for i in range(15)) + "\ntheta' = x0",
    ],
}  # fmt: skip
HOSTILE = {
    f"{category} {number}": text
    for category, texts in [(c, [f"v' = v\ntheta' = {right}" for right in r]) for c, r in RIGHT.items()]
    + [*WHOLE.items()]
    for number, text in enumerate(texts)
}


def is_one_clear_line(message):
    return message.isprintable() and len(message) < 500 and "; " in message and "Traceback" not in message


def test_there_are_two_hundred_of_them():
    assert len(set(HOSTILE.values())) == len(HOSTILE) >= 200


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_and_broken_texts_are_refused_in_one_line_within_a_second(text):
    with within(1.0), pytest.raises(RuleError) as refusal:
        parse(text)
    assert is_one_clear_line(str(refusal.value))


WATCHED = """
import json, sys
from ntkflow.algorithms._text import parse
from ntkflow.errors import RuleError

texts, seen = json.load(sys.stdin), []

def outcome(text):
    try:
        parse(text)
    except RuleError:
        return "refused"
    return "read"

outcome("theta' = (W + 1)/2*theta - mu*grad(theta)"), outcome("theta' = x*theta")  # loads what SymPy loads late
sys.addaudithook(lambda event, arguments: seen.append((event, str(arguments[-1:]))))
outcomes = [outcome(text) for text in texts]
events = seen[:]
eval("1")
print(json.dumps([outcomes, events, seen[len(events):]]))
"""


def test_nothing_is_evaluated(tmp_path):
    canary = tmp_path / "canary"
    harm = [
        f"open('{canary}', 'w')",
        f"__import__('os').mknod('{canary}')",
        f"exec('{canary}')",
        f"[c for c in ().__class__.__base__.__subclasses__()][0]('{canary}')",
    ]
    places = ["theta' = {}", "theta' = theta; parameter a = {}", "v'=v; theta'=v; start v = {}", "let p={}; theta'=p"]
    texts = [*HOSTILE.values(), *harm, *(place.format(code) for place in places for code in harm)]
    sent = json.dumps([text for text in texts if text.isascii()])  # a pipe between processes carries no surrogates
    command = [sys.executable, "-c", WATCHED]
    watched = subprocess.run(command, input=sent, capture_output=True, text=True, cwd=tmp_path, check=True)
    outcomes, events, control = json.loads(watched.stdout)
    assert set(outcomes) == {"refused"}
    assert {event for event, _ in events} <= {"compile"}  # ast.parse: a tree, and no code
    assert {last for _, last in events} <= {"('<unknown>',)"}
    assert "exec" in {event for event, _ in control}  # so the hook does see an evaluation
    assert list(tmp_path.iterdir()) == []
    assert watched.stderr == ""


REMEDIES = {  # text: the line, the piece as it was written, what to do
    "v' = v\n\ntheta' = v - grad(theta)**2": ("line 3", "grad(theta)**2", "only scalars and W"),
    "theta' = W*tehta": ("line 1", "tehta", "did you mean 'theta'?"),
    "theta' = lam*theta": ("line 1", "lam", "parameter lam = value"),
    "theta' = v; v' = θ*θ": ("line 1", "θ*θ", "by scalars and W"),
    "theta' = y - W^2*theta\ny'=y": ("line 1", "^", "write ** for a power"),
    "theta' = 2 theta": ("line 1", "2 theta", "between 2 and theta", "write *"),
    "theta' = theta*W": ("line 1", "theta*W", "to the left"),
    "theta' = theta + 1": ("line 1", "1: a number", "multiply it by a block"),
    "theta' = theta0": ("line 1", "theta0", "write theta"),
    "theta = W*theta\nv' = v\ntheta' = v": ("line 1", "theta = W*theta", "write theta' = "),
    "theta' = y\ny' = grad(theta')": ("line 2", "grad(theta')", "old values"),
    "theta' = v\nv' = v\nstart v = theta": ("line 3", "theta", "theta0 and grad(theta0)"),
    "theta' = p\nlet p = q\nlet q = theta": ("line 2", "q", "move its let up"),
    "theta' = sin(theta)": ("line 1", "sin(theta)", "only grad(...)"),
    "theta' = W.T*theta": ("line 1", ". has no meaning", "use names"),
    "theta' = H*theta": ("line 1", "H", "write grad"),
    "theta' = (I + W)/2*theta": ("line 1", "I", "write 1"),
    "theta' = W**10**10*theta": ("line 1", "W**10**10", "whole number from 0 to 100"),
    "theta' = (W + average)**50*theta": ("line 1", "(W + average)**50", "smaller powers"),
    "theta' = lambda*theta": ("line 1", "lambda", "lam"),
    "theta' = thеta": ("line 1", "U+0435", "use names"),
    "v' = W*v": ("rule", "v'", "write theta' ="),
    "theta^+ = W*theta": ("line 1: theta^+", "write theta' = ..."),
    "θ⁺ = W*θ": ("line 1: θ⁺", "write θ' = ..."),
    "theta_{k+1} = W*theta": ("line 1: theta_{k+1}", "write theta' = ..."),
    "theta ^{+} = W*theta": ("line 1: theta ^{+}", "write theta' = ..."),
    "theta' = W*theta - α*grad(theta)": ("line 1", "α (U+03B1)", "for the step size write eta"),
    "theta' = W*theta - eta*∇(theta)": ("line 1", "∇ (U+2207)", "write grad(...)"),
    "v' = v; theta' = W*theta; parameter a = b": ("line 1, statement 3: b", "write it out"),
    "v' = v\ntheta' = W*theta + x; # x": ("line 2: x", "parameter x = value"),
    "v' = v;; theta' = W*tehta": ("line 1, statement 2: tehta", "did you mean"),
    f"{OK}\nparameter tau = 2": ("line 2: tau", "does not use", "leave the line out"),
    f"{OK} + tau*theta - tau*theta; parameter tau = 2": ("line 1, statement 2: tau", "does not use"),
}  # fmt: skip


@pytest.mark.parametrize("text", REMEDIES)
def test_a_refusal_says_where_what_and_what_to_do(text):
    with pytest.raises(RuleError) as refusal:
        parse(text)
    for part in REMEDIES[text]:
        assert part in str(refusal.value)


@pytest.mark.parametrize("name", ["alpha", "lr", "learning_rate", "step", "Alpha", "h_step", "stepsize"])
def test_names_of_a_step_size_are_told_ours(name):
    text = f"theta' = W*theta - {name}*eta*grad(theta)"
    with pytest.raises(RuleError, match=f"line 1: {name}: .*; for the step size write eta"):
        parse(text)
    assert parse(f"{text}; parameter {name} = 0.1").parameter_names  # unless it is declared


def test_a_parameter_that_is_given_is_used():
    with pytest.raises(RuleError, match="parameters: expected names that the rule uses, found a, b"):
        parse(OK, parameters={"a": 1.0, "b": None})


def test_the_minus_of_papers_is_a_minus():
    assert same(parse("theta' = −W*theta − 1e−3*eta*grad(−theta)"), parse("theta' = -W*theta - 1e-3*eta*grad(-theta)"))


@pytest.mark.parametrize("text", [None, 5, b"theta' = theta", ["theta' = theta"], theta])
def test_what_is_no_text_is_refused(text):
    with pytest.raises(RuleError, match="a text"):
        parse(text)


@pytest.mark.parametrize(
    "parameters",
    [{"W": 1}, {"theta": 1}, {"": 1}, {"a b": 1}, {"__class__": 1}, {"lambda": 1}, {1: 1}, {mu: 1}, "mu", 3, {"a'": 1}],
)
def test_parameters_that_cannot_be_are_refused(parameters):
    with pytest.raises(RuleError, match=r"^parameters: "):
        parse(OK, parameters=parameters)


@pytest.mark.parametrize("value", ["1", float("nan"), float("inf"), 1j, True, [1.0]])
def test_defaults_are_numbers(value):
    with pytest.raises(InputError):
        parse(OK, parameters={"mu": value})


# --- everything else: soup, mutations, and rules that nobody thought of

QUICK = settings(deadline=2000, max_examples=300)


def refusal(text):
    """The message with which the text is refused; None when it is read."""
    try:
        parse(text)
    except RuleError as error:
        return str(error)
    return None


def is_read_or_refused(text):
    message = refusal(text)
    assert message is None or is_one_clear_line(message)


@QUICK
@given(st.text(max_size=200) | st.text("thetaWvgrdmu0159'=+-*/(). ;\n#", max_size=80).map("theta' = ".__add__))
def test_any_characters(text):
    is_read_or_refused(text)


TOKENS = ["theta", "v", "W", "eta", "mu", "grad", "(", ")", "+", "-", "*", "/", "**", "2", "0.5", "average", "'", "=",
          "let", "start", "parameter", "theta0", ";", "\n", "lambda", ".", ",", "[", "1e9", "p"]  # fmt: skip


@QUICK
@given(st.lists(st.sampled_from(TOKENS), max_size=40), st.sampled_from(["", " "]))
def test_any_tokens(tokens, joint):
    is_read_or_refused("v' = v\ntheta' = " + joint.join(tokens))


@QUICK
@given(st.sampled_from([*PAPERS.values()]), st.data())
def test_any_slip_of_the_pen(text, data):
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, min(len(text), start + 4)))
        text = text[:start] + data.draw(st.sampled_from(["", *TOKENS]) | st.text(max_size=2)) + text[stop:]
    is_read_or_refused(text)


def pair(op, call):
    """Two (tree, expression) pairs to one."""
    return lambda a, b: (ast.BinOp(a[0], op, b[0]), call(a[1], b[1]))


def name(text, symbol):
    return ast.Name(text), symbol


def number(text):
    return ast.Constant(ast.literal_eval(text)), sympy.Rational(text)


PLUS, MINUS = pair(ast.Add(), lambda a, b: a + b), pair(ast.Sub(), lambda a, b: a - b)
TIMES, OVER = pair(ast.Mult(), lambda a, b: a * b), pair(ast.Div(), lambda a, b: a / b)
NUMBERS = st.sampled_from(["1", "2", "7", "0.5", "0.125", "3.75", "0.001"]).map(number)
POWERS = st.integers(0, 3).map(lambda k: (ast.Constant(k), sympy.Integer(k)))
RAISED = pair(ast.Pow(), lambda a, b: a**b)


def negative(a):
    return ast.UnaryOp(ast.USub(), a[0]), -a[1]


def sloped(a):
    return ast.Call(ast.Name("grad"), [a[0]], []), gradient(a[1])


def grown(leaves, extend):
    return st.recursive(leaves, extend, max_leaves=6)


SCALARS = grown(
    NUMBERS | st.sampled_from([name("mu", mu), name("eta", eta), name("beta", beta)]),
    lambda s: st.builds(PLUS, s, s) | st.builds(MINUS, s, s) | st.builds(TIMES, s, s) | st.builds(OVER, s, NUMBERS)
    | st.builds(RAISED, s, POWERS) | s.map(negative),
)  # fmt: skip
OPERATORS = grown(
    st.sampled_from([name("W", W), name("average", average)]) | SCALARS,
    lambda o: st.builds(PLUS, o, o) | st.builds(MINUS, o, o) | st.builds(TIMES, o, o) | st.builds(OVER, o, NUMBERS)
    | st.builds(RAISED, o, POWERS) | o.map(negative),
)  # fmt: skip
STATES = grown(
    st.sampled_from([name("theta", theta), name("v", v), name("p", p)]),
    lambda s: st.builds(PLUS, s, s) | st.builds(MINUS, s, s) | st.builds(TIMES, OPERATORS, s)
    | st.builds(OVER, s, NUMBERS) | st.builds(TIMES, s, SCALARS) | s.map(negative) | s.map(sloped),
)  # fmt: skip


@QUICK
@given(STATES, STATES)
def test_any_rule_means_what_sympy_makes_of_it(next_theta, next_v):
    """The text is written by `ast.unparse`, the expression by SymPy's operators: neither is ours."""
    text = f"theta' = {ast.unparse(next_theta[0])}\nv' = {ast.unparse(next_v[0])}\nlet p = v - mu*grad(theta)"
    assume("too large" not in (refusal(text) or ""))
    update = {theta: next_theta[1], v: next_v[1]}
    rule = nf.Rule("direct", update, {v: W * theta0}, {p: v - mu * gradient(theta)}, {mu: None, beta: None})
    read = parse(f"{text}\nstart v = W*theta0")
    assert (read.words, read.start_words) == (rule.words, rule.start_words)
    assert same(parse(to_text(read)), read)
