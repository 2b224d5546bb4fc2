program ring
  use mpi
  implicit none
  integer :: rank, many, error, total
  call MPI_Init(error)
  call MPI_Comm_rank(MPI_COMM_WORLD, rank, error)
  call MPI_Comm_size(MPI_COMM_WORLD, many, error)
  call MPI_Reduce(rank + 1, total, 1, MPI_INTEGER, MPI_SUM, 0, MPI_COMM_WORLD, error)
  if (rank == 0) then
    open(unit=10, file='result.txt', status='replace')
    write(10, '(I0,A,I0)') total, ' ', many
    close(10)
  end if
  call MPI_Finalize(error)
end program ring
