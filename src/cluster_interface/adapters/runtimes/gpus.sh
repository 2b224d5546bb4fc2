# The GPUs that the scheduler gave this job, and the driver that goes with them. Part of job.sh where GPUs are asked for.

# Which of the node's, with commas between; empty where the scheduler does not say.
given_gpus() {
    given=${SLURM_JOB_GPUS:-${CUDA_VISIBLE_DEVICES:-}}
    case $given in *[!0-9A-Za-z,-]*) given='' ;; esac
}

# Which of the devices that are there CUDA is to use, in containers that bring in all of them; empty where the scheduler
# does not say.
visible=${CUDA_VISIBLE_DEVICES:-}
case $visible in *[!0-9A-Za-z,-]*) visible='' ;; esac

# The devices are the scheduler's to keep from whom they were not given to.
gpu_devices() {
    for device in /dev/nvidia*; do
        [ -c "$device" ] && echo "${device#/dev/}"
    done
}

# What belongs to the kernel's module and must be of its version: no image can bring it. Of one name, the first that the
# linker would take: they all go into one directory.
driver_libraries() {
    known=' '
    ldconfig -p | sed -n 's/^[[:space:]]*\(libcuda\|libcudadebugger\|libnvidia-[a-z0-9-]*\|libnvcuvid\)\.so.*(libc6,\(x86-64\|AArch64\).* => //p' |
        while read -r library; do
            case $known in *" ${library##*/} "*) continue ;; esac
            known="$known${library##*/} "
            echo "$library"
        done
}
