/*
 * Vectors and start-up for Cortex-M0 and M4, shared by the Rust and the C program.
 *
 * All of RAM is painted before anything else: nothing survives a reset but flash, and how far the
 * stack came down can be seen. RAM is one stack, below it nothing: an overflow is a fault.
 */
    .syntax unified
    .thumb

    .section .vectors, "a"
    .word _stack_top
    .word reset
    .rept 14
    .word fault
    .endr

    .text
    .thumb_func
    .global reset
reset:
    ldr r0, =_ram_start
    ldr r1, =_ram_end
    ldr r2, =0xa5a5a5a5
1:  cmp r0, r1
    bhs 2f
    str r2, [r0]
    adds r0, #4
    b 1b
2:  ldr r0, =_data_start
    ldr r1, =_data_end
    ldr r2, =_data_load
3:  cmp r0, r1
    bhs 4f
    ldr r3, [r2]
    str r3, [r0]
    adds r0, #4
    adds r2, #4
    b 3b
4:  ldr r0, =_bss_start
    ldr r1, =_bss_end
    movs r2, #0
5:  cmp r0, r1
    bhs 6f
    str r2, [r0]
    adds r0, #4
    b 5b
6:  bl main
7:  b 7b

    /* Ends the emulator with exit status 1: SYS_EXIT, ADP_Stopped_RunTimeErrorUnknown. */
    .thumb_func
fault:
    movs r0, #0x04
    ldr r1, =fault_text
    bkpt #0xab
    movs r0, #0x18
    ldr r1, =0x20023
    bkpt #0xab
    b fault

    .section .rodata
fault_text:
    .asciz "error fault\n"

    .section .note.GNU-stack, "", %progbits
