/* The serial port that a machine has instead of the PL011 when it is asked for. */
#include "guest.h"

GUEST_CODE(uart_16550);

GUEST_TEST(uart_16550, "uart-16550")
{
	guest_echo(AXARCH_UART_16550, code_uart_16550, code_uart_16550_end);
}
