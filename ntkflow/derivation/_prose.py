"""What a derivation says in words: of every step its title, the reason, and what its equations were held against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prose:
    """Title, reason and evidence of a step, with LaTeX in dollars."""

    title: str
    reason: str
    evidence: str


LINEAR_UPDATE = "every agent's own update, on the linearised networks"

PROSE = {
    "rule": Prose(
        "The update rule",
        r"Let $\vartheta$ stack the parameters of all agents, $g(\vartheta)$ their scaled gradients, and write "
        r"$\mathcal{W} = W \otimes I$. Right-hand sides read old values.",
        "sums over neighbours, agent by agent, on explicit networks that are not linear",
    ),
    "flow": Prose(
        "The gradient flow",
        "Read the update as a step of Euler's method for a differential equation, with time counted in iterations: "
        "the velocity is what one update adds.",
        "the difference of two successive states of every agent",
    ),
    "gradient": Prose(
        "The chain rule",
        r"The loss depends on $\vartheta$ through the outputs $f(\vartheta)$ alone, so its gradient is the transposed "
        r"Jacobian of the outputs applied to the residuals $f(\vartheta) - \mathbf{y}$.",
        "the summed losses of explicit networks, and their derivatives as SymPy takes them",
    ),
    "linearisation": Prose(
        "The linearisation",
        r"In the limit of infinite width the Jacobian stays what it is at $\vartheta_0$, and the outputs are those of "
        r"the network linearised there (arXiv 2409.15267, eq. 11).",
        "the first two terms of the Taylor series of explicit networks, as SymPy takes them",
    ),
    "linear_gradient": Prose(
        "The gradient of the linearised network",
        r"Put both into the chain rule. $\Psi_0$ is the curvature of the loss, $e_0$ has the residuals at the start.",
        "SymPy's derivatives of the loss of the linearised networks",
    ),
    "substitution": Prose(
        "The substitution",
        "Put this gradient wherever the rule takes one.",
        LINEAR_UPDATE,
    ),
    "collection": Prose(
        "Collecting the state",
        "Multiply out; collect what stands before each block, and what stands before none.",
        LINEAR_UPDATE,
    ),
    "system": Prose(
        "The linear system",
        r"The iteration is $s^{{+}} = M\,s + b$ and its flow $\dot{{s}} = A\,s + u$, where {state}.",
        "the response of the linearised networks' update to unit vectors, and what becomes of the origin",
    ),
    "deviation": Prose(
        "The deviation from the start",
        r"Count the parameters from where they start: $x$ has $\vartheta - \vartheta_0${more}. Then "
        r"$\dot{{x}} = A\,x + u_x$; {driven}, the outputs are $f_0 + C\,x$.",
        "the first update of the linearised networks, its response to single residuals, and the response of their "
        "outputs to the state",
    ),
    "together": Prose(
        "Agents that start together",
        r"Where all agents start from the same parameters, $\mathcal{W}\,\vartheta_0 = \vartheta_0$, and what mixing "
        "does to the start is gone.",
        "the first update of linearised networks that start together",
    ),
    "closed_form": Prose(
        "The closed form",
        "The iteration unrolls to a geometric sum; variation of constants solves the flow. $A$ is singular in "
        "general, so neither is written with its inverse.",
        "three updates of every agent, and Picard's iteration up to the fifth power of time, on the linearised "
        "networks",
    ),
}
