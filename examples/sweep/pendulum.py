"""The period of a pendulum that starts at an angle (degrees), by summing small steps. One row in period.csv."""

import argparse
import math

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--angle", type=float, required=True, help="where it starts, in degrees")
parser.add_argument("--length", type=float, default=1.0, help="in metres")
given = parser.parse_args()

step, time, speed = 1e-5, 0.0, 0.0
angle = math.radians(given.angle)
while angle > 0:  # a quarter of the period
    speed -= 9.81 / given.length * math.sin(angle) * step
    angle += speed * step
    time += step

with open("period.csv", "w") as file:
    file.write(f"period,small_angle\n{4 * time:.4f},{2 * math.pi * math.sqrt(given.length / 9.81):.4f}\n")
print(f"{given.angle:g} degrees, {given.length:g} m: {4 * time:.4f} s")
