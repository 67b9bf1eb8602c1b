"""Events of agents, loaded by hour, joined, aggregated and watched."""
